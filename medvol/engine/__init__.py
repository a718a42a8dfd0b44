# SPDX-License-Identifier: Apache-2.0
"""A bundle's parts on an image: pipeline, device, memory."""
