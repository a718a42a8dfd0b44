# SPDX-License-Identifier: Apache-2.0
"""Public data sets, one file each, to datalists."""
