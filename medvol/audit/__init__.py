# SPDX-License-Identifier: Apache-2.0
"""What a bundle would do if it were run, read from its files; nothing of it is executed."""
