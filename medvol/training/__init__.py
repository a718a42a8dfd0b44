# SPDX-License-Identifier: Apache-2.0
"""Training parts that MONAI and ignite lack."""
