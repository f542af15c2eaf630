"""The pages that people look at."""

from flask import Blueprint

blueprint = Blueprint("pages", __name__)
