"""The report as one HTML file that needs nothing but itself: no network, no server."""
