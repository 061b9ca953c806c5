"""What travels between server and device processes, and how; knows neither. May import devices.messages and radio."""
