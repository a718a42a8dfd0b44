# SPDX-License-Identifier: Apache-2.0
"""Network architectures, their blocks and their weights."""
