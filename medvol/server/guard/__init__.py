# SPDX-License-Identifier: Apache-2.0
"""What stands before every route: who may ask, from where, and how much."""
