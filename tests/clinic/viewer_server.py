"""A web server with OHIF and, at the same address, the DICOMweb service of an archive."""

from __future__ import annotations

import mimetypes
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import requests

_CONFIGURATION = """window.config = {
  routerBasename: null, extensions: [], modes: [], showStudyList: false, maxNumberOfWebWorkers: 1,
  showLoadingIndicator: true, strictZSpacingForVolumeViewport: true,
  investigationalUseDialog: {option: 'never'},
  disableConfirmationPrompts: true, groupEnabledModesFirst: true,
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'archive',
    configuration: {
      friendlyName: 'archive', name: 'archive', wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web',
      wadoRoot: '/dicom-web', qidoSupportsIncludeField: false, imageRendering: 'wadors',
      thumbnailRendering: 'wadors', enableStudyLazyLoad: true, supportsFuzzyMatching: false,
      supportsWildcard: true, omitQuotationForMultipartRequest: true,
      bulkDataURI: {enabled: true, relativeResolution: 'studies'},
    },
  }],
  defaultDataSourceName: 'archive',
};
"""


@contextmanager
def viewer(dist: Path, dicomweb: str) -> Iterator[str]:
    """Serve the viewer; yield its address.

    Args:
        dist: The folder `dist` of the npm package `@ohif/app`.
        dicomweb: Address of the DICOMweb service.
    """

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path.startswith("/dicom-web"):
                passed = {name: self.headers[name] for name in ("Accept",) if name in self.headers}
                found = requests.get(
                    dicomweb + self.path.removeprefix("/dicom-web"), headers=passed, timeout=60
                )
                self._answer(found.status_code, found.headers.get("Content-Type", ""), found.content)
                return
            file = dist / path.lstrip("/")
            if path == "/app-config.js":
                self._answer(200, "text/javascript", _CONFIGURATION.encode())
            elif file.is_file():
                kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
                self._answer(200, "application/wasm" if file.suffix == ".wasm" else kind, file.read_bytes())
            else:
                self._answer(200, "text/html", (dist / "index.html").read_bytes())

        def _answer(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            # The viewer decodes in workers that share memory.
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
