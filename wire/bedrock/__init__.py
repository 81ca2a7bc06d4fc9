"""Amazon Bedrock's runtime: Converse and InvokeModel, and the binary event stream they answer in."""
