# SPDX-License-Identifier: Apache-2.0
"""What a bundle is for: reading, answering and comparing."""
