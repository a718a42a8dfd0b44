# SPDX-License-Identifier: Apache-2.0
"""Ways of running a network over a whole volume."""
