# SPDX-License-Identifier: Apache-2.0
"""Bundles behind HTTP: a page for people, and what viewers speak; one `Service`, several faces."""
