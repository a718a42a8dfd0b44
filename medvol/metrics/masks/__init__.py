# SPDX-License-Identifier: Apache-2.0
"""Masks beside true masks: overlap, surface, lesions, volume, and what a gate costs."""
