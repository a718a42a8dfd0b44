# SPDX-License-Identifier: Apache-2.0
"""Reading images into volumes, and writing masks, scenes and segmentations."""
