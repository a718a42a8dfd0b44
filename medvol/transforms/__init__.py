# SPDX-License-Identifier: Apache-2.0
"""Transforms of volumes: intensity, resampling, cropping."""
