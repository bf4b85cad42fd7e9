"""The collector takes what the homes send, keeps it and shows a district on one board. It decides no alarm."""
