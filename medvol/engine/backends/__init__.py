# SPDX-License-Identifier: Apache-2.0
"""What runs a network on windows: one small interface, and how the fastest is found."""
