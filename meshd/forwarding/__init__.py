"""Carrying packets: links that follow the plan, custody hop by hop, re-routing."""
