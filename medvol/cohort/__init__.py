# SPDX-License-Identifier: Apache-2.0
"""Cohorts: thousands of cases, on one machine or many, with nothing lost and nothing done twice."""
