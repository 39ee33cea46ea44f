"""Online endpoints: what runs a deployment, and the router in front of it."""
