"""What a team deploys: servers, images, cluster scripts."""
