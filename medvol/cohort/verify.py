# SPDX-License-Identifier: Apache-2.0
"""Looks whether the results of a cohort are there and whole, and whether they come out again."""
