import warnings

with warnings.catch_warnings():
    # Libraries that mitmproxy imports warn about each other when they are first loaded; our own warnings are errors.
    warnings.simplefilter("ignore")
    import mitmproxy.addons
    import mitmproxy.tools.dump  # noqa: F401
