"""Generates the messages and stubs from proto/control.proto, which is beside this package, whenever the package is built."""

from pathlib import Path

from grpc_tools import protoc
from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent


class Generate(build_py):
    def run(self):
        package = HERE / "backchannel_client"
        protos = HERE.parent
        arguments = ["protoc", f"--proto_path={protos}", f"--python_out={package}", f"--pyi_out={package}", f"--grpc_python_out={package}", "control.proto"]
        if protoc.main(arguments) != 0:
            raise RuntimeError(f"{protos / 'control.proto'} could not be compiled")
        # The stub is generated as a module of no package.
        stub = package / "control_pb2_grpc.py"
        stub.write_text(stub.read_text().replace("import control_pb2 as", "from . import control_pb2 as"))
        super().run()


setup(cmdclass={"build_py": Generate})
