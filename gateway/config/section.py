"""What all sections have in common: their base, and the types of their values."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Seconds = Annotated[float, Field(gt=0, le=86_400)]
Staleness = Annotated[float, Field(ge=0, le=3_600)]
Port = Annotated[int, Field(ge=0, le=65_535)]
Size = Annotated[int, Field(gt=0)]
Text = Annotated[str, Field(min_length=1)]
Secret = Annotated[SecretStr, Field(min_length=1)]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, values never change."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True
    )
