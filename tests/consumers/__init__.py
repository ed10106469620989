"""What the programs that operators point at a site say about it, each configured by its snippet as it is printed.

Tagged ``consumers``. ``docs/consumers.rst`` has the table of what they say.
"""
