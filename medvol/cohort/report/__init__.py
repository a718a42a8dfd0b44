# SPDX-License-Identifier: Apache-2.0
"""What a cohort found: one table over all units, pages, samples for review, two runs compared."""
