# SPDX-License-Identifier: Apache-2.0
"""A bundle as a thing: found, read, checked."""
