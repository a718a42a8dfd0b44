# SPDX-License-Identifier: Apache-2.0
"""Many trainings of one bundle, of which the best is wanted: comparison and search."""
