"""Wrappers: the layer between the hostile command line and facade. Installed as ``facade_wrappers``.

Each module without a leading underscore is a plug-in (`facade.plugins.Wrapper`) that a campaign names; the others are
what they share.
"""
