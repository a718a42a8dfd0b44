# SPDX-License-Identifier: Apache-2.0
"""The server's own REST: images, jobs and how it fares."""
