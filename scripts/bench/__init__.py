# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: cases, sides in processes of their own, machine facts, pages."""
