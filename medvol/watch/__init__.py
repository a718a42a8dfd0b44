# SPDX-License-Identifier: Apache-2.0
"""New studies in an archive or a folder, found, predicted once and written down."""
