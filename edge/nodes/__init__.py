"""What belongs to a home's nodes beside their readings: credentials, the broker that they meet, their firmware."""
