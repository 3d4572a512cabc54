"""Names of the AWS resources that unit tests create in moto."""

RECORDS_TABLE = "login-records"


PARKED_TABLE = "parked-connections"


PARKING_QUEUE = "parking"
