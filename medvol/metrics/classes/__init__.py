# SPDX-License-Identifier: Apache-2.0
"""Classes beside true classes: confusion, ranking, calibration, and what else predicts them."""
