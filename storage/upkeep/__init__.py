"""What keeps the file itself well: copied, looked through, brought up to date, read around damage, derived anew."""
