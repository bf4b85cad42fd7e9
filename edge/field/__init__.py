"""What an installer or an inspector does with a gateway, as commands of their own: none of it runs in the agent."""
