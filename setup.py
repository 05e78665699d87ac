"""Packages, extras and the `tfrec` command; tool settings live in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

SERVING = ["tensorflow-serving-api>=2.21,<2.22", "grpcio>=1.60", "h11>=0.14"]
BEAM = ["apache-beam>=2.77", "pyarrow>=15", "google-crc32c>=1.5", "matplotlib>=3.8"]
DASK = ["dask[distributed]>=2024.1", "apache-beam[dask]>=2.77"]

setup(
    name="tfrec-zoo",
    version="0.1.0",
    description="A TensorFlow/Keras production model zoo for recommenders: log to Beam to TFRecords to Keras to gRPC.",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["tfrec_zoo*", "beam_jobs*", "serving*"]),
    package_data={
        "tfrec_zoo": ["configs/*.yaml", "evaluation/*.css"],
        "serving": ["config/*", "server/ui/*", "deploy/**/*"],
    },
    install_requires=[
        "tensorflow>=2.21,<2.22",
        "keras>=3.12",
        "tensorflow-recommenders>=0.7.7",
        "tf_keras>=2.21,<2.22",
        "numpy>=2.0",
        "pydantic>=2.7",
        "pyyaml>=6.0",
        "rich>=13",
    ],
    extras_require={
        "beam": BEAM,
        "serving": SERVING,
        "dask": [*BEAM, *DASK],
        "gpu": ["tensorflow[and-cuda]>=2.21,<2.22"],
        "dev": [
            *BEAM,
            *DASK,
            *SERVING,
            "check-jsonschema>=0.29",
            "hypothesis>=6",
            "import-linter>=2",
            "kubernetes-validate>=1.31",
            "mkdocs>=1.6,<2",
            "mypy>=1.10",
            "polars>=1.20",
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.6",
            "selenium>=4.20",
            "types-protobuf",
            "types-PyYAML",
        ],
    },
    entry_points={"console_scripts": ["tfrec = tfrec_zoo.cli:main"]},
)
