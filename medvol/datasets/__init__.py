# SPDX-License-Identifier: Apache-2.0
"""Sources of data, one file each, to MONAI datalists."""
