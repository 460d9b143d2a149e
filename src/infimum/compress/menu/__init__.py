"""What a layer can become: ranks, widths and forms, what each costs, and the least error that each can have."""
