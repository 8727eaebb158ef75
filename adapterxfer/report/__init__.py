"""What people look at: tables, pictures, and tasks as text."""
