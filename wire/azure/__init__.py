"""Azure OpenAI: OpenAI's APIs under paths that name the deployment."""
