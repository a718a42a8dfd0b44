# SPDX-License-Identifier: Apache-2.0
"""The random steps of a training on all samples of a batch: MONAI's draws, faster arithmetic."""
