# SPDX-License-Identifier: Apache-2.0
"""The OHIF viewer beside an archive."""
