"""Who may ask, for what and how often, and what is written down of it: without a framework, and without waiting.

`guard.Guard` is what a server asks at each request; `settings.security_settings` reads what it is to do;
`exposure.check_exposed` refuses to start where it would leave features open to a network.
"""
