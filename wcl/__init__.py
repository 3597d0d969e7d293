"""WCL texts that come with facade: filetypes, patterns and modules for HSC, and the demo campaign. Data, no code."""
