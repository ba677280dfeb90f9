"""What the sweeper sees and does, on a real API server and on a real folder."""
