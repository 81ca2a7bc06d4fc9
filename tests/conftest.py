import signal
import warnings

# Whoever starts the suite in the background has the shell ignore SIGINT for it, and so for the programs it interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

with warnings.catch_warnings():
    # Libraries that mitmproxy imports warn about each other when they are first loaded; our own warnings are errors.
    warnings.simplefilter("ignore")
    import mitmproxy.addons
    import mitmproxy.tools.dump  # noqa: F401
