# SPDX-License-Identifier: Apache-2.0
"""What MONAI Label's clients ask for, answered by medvol's bundles."""
